//! Requests that are bytes already, and answers that are read as messages.

use std::marker::PhantomData;

use bytes::{BufMut as _, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Sends bytes, reads `A`.
#[derive(Debug)]
pub(crate) struct Ready<A>(PhantomData<A>);

impl<A> Ready<A> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<A: Message + Default + 'static> Codec for Ready<A> {
    type Encode = Bytes;
    type Decode = A;
    type Encoder = AsIs;
    type Decoder = Answer<A>;

    fn encoder(&mut self) -> AsIs {
        AsIs
    }

    fn decoder(&mut self) -> Answer<A> {
        Answer(PhantomData)
    }
}

#[derive(Debug)]
pub(crate) struct AsIs;

impl Encoder for AsIs {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(item.len());
        out.put(item);
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct Answer<A>(PhantomData<A>);

impl<A: Message + Default> Decoder for Answer<A> {
    type Item = A;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<A>, Status> {
        let answer = A::decode(bytes);
        answer
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}
